use tfplugin_derive::Model;

#[derive(Model)]
enum Note {
    Short,
}

fn main() {}
