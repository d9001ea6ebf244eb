use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(required)]
    text: String,
    #[attr(computed, depends_on = ["txet"])]
    revision: i64,
}

fn main() {}
