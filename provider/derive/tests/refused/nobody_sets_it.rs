use tfplugin_derive::Model;

struct Attr<T>(T);

#[derive(Model)]
struct Note {
    title: Attr<String>,
}

fn main() {}
