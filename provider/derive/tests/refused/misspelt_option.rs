use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(requird, replace)]
    title: String,
}

fn main() {}
