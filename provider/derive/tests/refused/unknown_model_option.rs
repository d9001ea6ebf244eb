use tfplugin_derive::Model;

#[derive(Model)]
#[model(old = "yes")]
struct Note {
    title: String,
}

fn main() {}
