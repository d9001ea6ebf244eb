use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(required, computed)]
    title: String,
}

fn main() {}
