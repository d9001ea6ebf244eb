use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(required)]
    text: String,
    #[attr(optional, depends_on = ["text"])]
    revision: i64,
}

fn main() {}
