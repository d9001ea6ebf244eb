use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(block, min_items = 3, max_items = 2)]
    lines: Vec<Line>,
}

fn main() {}
