use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(sensitive, optional, sensitive)]
    secret: String,
}

fn main() {}
