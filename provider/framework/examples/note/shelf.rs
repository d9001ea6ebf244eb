//! A resource in blocks, as older providers have them, and what a module says
//! to the provider.

use std::collections::BTreeMap;

use tfplugin::{Attr, Context, Diagnostics, Failure, Model, Plan, Resource, Set, Timeouts, validate};

use super::Notes;

/// What a module says to the provider.
#[derive(Model, Debug, Clone)]
pub struct Meta {
    /// Whose module it is.
    #[attr(required, validate = [validate::name(20)])]
    pub team: Attr<String>,
}

/// A shelf for notes.
#[derive(Model, Debug, Clone)]
pub struct ShelfModel {
    /// Known after the apply.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// Where it stands.
    #[attr(required, replace)]
    room: Attr<String>,
    /// Whose module it is in.
    #[attr(computed)]
    team: Attr<String>,
    /// The wall it is fixed to.
    #[attr(block)]
    wall: Attr<Wall>,
    /// Its boards, from the lowest up.
    #[attr(block, max_items = 9)]
    board: Vec<Board>,
    /// Who may use it.
    #[attr(block)]
    user: Attr<Set<User>>,
    /// What is written on it, by place.
    #[attr(block)]
    sign: Attr<BTreeMap<String, Sign>>,
    /// Its number; the provider gives one where the block is left out.
    #[attr(block, computed)]
    plate: Attr<Vec<Plate>>,
    /// How long each operation may take.
    #[attr(block)]
    timeouts: Attr<Timeouts>,
}

/// A wall.
#[derive(Model, Debug, Clone)]
pub struct Wall {
    /// What it is made of.
    #[attr(default = "brick")]
    material: Attr<String>,
}

/// A board.
#[derive(Model, Debug, Clone)]
pub struct Board {
    /// In centimetres.
    #[attr(required)]
    length: Attr<i64>,
    /// The wood.
    #[attr(default = "oak")]
    wood: Attr<String>,
    /// Its number, for life.
    #[attr(computed)]
    number: Attr<i64>,
}

/// A user.
#[derive(Model, Debug, Clone)]
pub struct User {
    /// The user's name.
    #[attr(required)]
    name: Attr<String>,
    /// What the user may do.
    #[attr(default = "read")]
    access: Attr<String>,
}

/// A sign.
#[derive(Model, Debug, Clone)]
pub struct Sign {
    /// What it says.
    #[attr(required)]
    text: Attr<String>,
}

/// A number plate.
#[derive(Model, Debug, Clone)]
pub struct Plate {
    /// The number on it.
    #[attr(optional, computed)]
    number: Attr<i64>,
}

/// Shelves are in the state and nowhere else.
pub struct Shelf;

impl Shelf {
    fn complete(ctx: &Context<Notes>, mut shelf: ShelfModel) -> Result<ShelfModel, Diagnostics> {
        if shelf.id.is_unknown() {
            shelf.id = format!("shelf/{}", shelf.room.as_deref().unwrap_or_default()).into();
        }
        if shelf.team.is_unknown() {
            shelf.team = ctx.provider_meta::<Meta>()?.and_then(|meta| meta.team.into_known()).into();
        }
        let last = shelf.board.iter().filter_map(|board| board.number.known()).max().copied().unwrap_or(0);
        let unnumbered = shelf.board.iter_mut().filter(|board| board.number.is_unknown());
        for (board, number) in unnumbered.zip(last + 1..) {
            board.number = number.into();
        }
        if shelf.plate.is_unknown() {
            shelf.plate = vec![Plate { number: 1.into() }].into();
        }
        for plate in shelf.plate.known_mut().into_iter().flatten().filter(|plate| plate.number.is_unknown()) {
            plate.number = 2.into();
        }
        Ok(shelf)
    }
}

impl Resource for Shelf {
    type Shared = Notes;
    type Model = ShelfModel;
    const NAME: &'static str = "note_shelf";

    async fn create(&self, ctx: &Context<Notes>, plan: Plan<ShelfModel>) -> Result<ShelfModel, Failure<ShelfModel>> {
        Ok(Self::complete(ctx, plan.planned)?)
    }

    async fn read(&self, _ctx: &Context<Notes>, state: ShelfModel) -> Result<Option<ShelfModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, ctx: &Context<Notes>, plan: Plan<ShelfModel>) -> Result<ShelfModel, Failure<ShelfModel>> {
        Ok(Self::complete(ctx, plan.planned)?)
    }

    async fn delete(&self, _ctx: &Context<Notes>, _state: ShelfModel) -> Result<(), Diagnostics> {
        Ok(())
    }
}
