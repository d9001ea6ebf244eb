use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(computed, write_only)]
    secret: String,
}

fn main() {}
