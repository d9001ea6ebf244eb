use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(required, name = "the-title")]
    title: String,
}

fn main() {}
