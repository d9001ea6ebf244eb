use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(computed, allow_unknown)]
    id: String,
}

fn main() {}
