use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(block)]
    lines: Attr<Vec<String>>,
}

fn main() {}
