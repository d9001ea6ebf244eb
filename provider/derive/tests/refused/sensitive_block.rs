use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(block, sensitive)]
    line: Line,
}

fn main() {}
