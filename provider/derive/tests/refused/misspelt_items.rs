use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(block, max_item = 2)]
    lines: Vec<Line>,
}

fn main() {}
