use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(optional, refined = Refinement::not_null())]
    title: Attr<String>,
}

fn main() {}
