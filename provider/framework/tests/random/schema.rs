//! Random schemas, of all that a host takes.

use tfplugin::schema::{ANY, Attribute, Kind, Mode, Nesting};
use tfplugin::{Field, Refinement, Span, Type};

use super::Random;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// How deeply objects nest.
const DEPTH: usize = 2;

/// Where in a schema an attribute is, as far as it limits what it can be.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    /// Elements of a set have no secrets, for they could not be told apart; nor has
    /// an object in an object, which may be absent where a host must not see so.
    no_secrets: bool,
    /// Elements of a collection are of one type, so none of them is dynamic.
    in_collection: bool,
    /// What is left to the provider as a whole is not the user's anywhere.
    computed: bool,
}

impl Random {
    pub fn schema(&mut self) -> Vec<Attribute> {
        self.attributes(Place::default())
    }

    fn attributes(&mut self, place: Place) -> Vec<Attribute> {
        let count = 1 + self.below(NAMES.len());
        let names = &NAMES[..count];
        names.iter().map(|name| self.attribute(name, names, place)).collect()
    }

    fn attribute(&mut self, name: &'static str, siblings: &[&'static str], place: Place) -> Attribute {
        let mode = if place.computed {
            Mode::Computed
        } else {
            *self.pick(&[Mode::Required, Mode::Optional, Mode::Optional, Mode::Computed, Mode::OptionalComputed])
        };
        let kind = self.kind_of(Place { computed: mode == Mode::Computed, ..place });
        let mut attribute = Attribute::new(name, kind, mode);
        attribute.sensitive = self.one_in(6);
        attribute.replace = mode != Mode::Computed && self.one_in(8);
        if mode == Mode::Optional && self.one_in(3) {
            attribute.default = Some(self.constant(&attribute.kind.clone()));
        } else if matches!((mode, &attribute.kind), (Mode::Required | Mode::Optional, Kind::Plain(_)))
            && !place.no_secrets
            && self.one_in(8)
        {
            attribute.write_only = true;
            attribute.replace = false;
        }
        if matches!(mode, Mode::Computed | Mode::OptionalComputed) {
            attribute.depends_on = self.dependencies(name, siblings);
            if !matches!(attribute.kind, Kind::Plain(Type::Dynamic)) && self.one_in(3) {
                attribute.refined = Refinement::not_null();
            }
        }
        if matches!(attribute.kind, Kind::Plain(Type::String)) && !place.computed && self.one_in(6) {
            attribute.same = <Span as Field>::same();
        }
        attribute
    }

    fn dependencies(&mut self, name: &str, siblings: &[&'static str]) -> &'static [&'static str] {
        match self.below(4) {
            0 => &[],
            1 => &[ANY],
            // Schemas live as long as the process.
            _ => Vec::leak(siblings.iter().copied().filter(|other| *other != name && self.one_in(2)).collect()),
        }
    }

    fn kind_of(&mut self, place: Place) -> Kind {
        if place.depth < DEPTH && self.one_in(3) {
            let nesting = *self.pick(&[Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map]);
            let inner = Place {
                depth: place.depth + 1,
                no_secrets: place.no_secrets
                    || nesting == Nesting::Set
                    || (nesting == Nesting::Single && place.depth > 0),
                in_collection: place.in_collection || nesting != Nesting::Single,
                computed: place.computed,
            };
            return Kind::Nested(nesting, self.attributes(inner));
        }
        if !place.in_collection && self.one_in(10) {
            return Kind::Plain(Type::Dynamic);
        }
        Kind::Plain(self.plain_type(2))
    }

    fn plain_type(&mut self, depth: usize) -> Type {
        let inner = |random: &mut Self| Box::new(random.plain_type(depth - 1));
        match self.below(if depth == 0 { 6 } else { 12 }) {
            0 => Type::Bool,
            1 | 2 => Type::Number,
            3..=5 => Type::String,
            6 | 7 => Type::List(inner(self)),
            8 => Type::Set(inner(self)),
            9 => Type::Map(inner(self)),
            10 => {
                let names = NAMES.iter().take(self.below(3) + 1);
                Type::Object(names.map(|name| ((*name).to_owned(), self.plain_type(depth - 1))).collect())
            }
            _ => Type::Tuple((0..=self.below(2)).map(|_| self.plain_type(depth - 1)).collect()),
        }
    }
}
