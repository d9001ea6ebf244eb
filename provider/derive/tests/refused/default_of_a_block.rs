use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(block, default = 1)]
    line: Line,
}

fn main() {}
