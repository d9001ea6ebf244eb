use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(optional, max_items = 3)]
    lines: Vec<Line>,
}

fn main() {}
