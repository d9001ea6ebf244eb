use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(block, computed, min_items = 1)]
    lines: Vec<Line>,
}

fn main() {}
