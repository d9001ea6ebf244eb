use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(banana)]
    title: String,
}

fn main() {}
