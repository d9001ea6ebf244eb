use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(required, default = "x")]
    title: String,
}

fn main() {}
