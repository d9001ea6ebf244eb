use tfplugin_derive::Model;

#[derive(Model)]
struct Note {
    #[attr(computed, not_null, refined = Refinement::not_null())]
    title: Attr<String>,
}

fn main() {}
