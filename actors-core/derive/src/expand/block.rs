//! The `impl` block of an actor, as all that is generated from it sees it.

use proc_macro2::Ident;
use syn::visit_mut::VisitMut;
use syn::{Attribute, Generics, ItemImpl, Type};

use super::generics;
use crate::attr::Threads;
use crate::faults::Faults;
use crate::owned::make_owned;
use crate::self_type::NameSelf;

pub(crate) struct Block {
    /// The actor's type as written after `impl`.
    pub(crate) actor: Type,
    /// That type's own name.
    pub(crate) name: Ident,
    /// The block's parameters, with `Self` written out.
    pub(crate) generics: Generics,
    pub(crate) threads: Threads,
    pub(crate) cfgs: Vec<Attribute>,
}

impl Block {
    /// Nothing where the block is not an actor's own.
    pub(crate) fn read(block: &ItemImpl, threads: Threads, faults: &mut Faults) -> Option<Self> {
        if let Some((_, of_trait, _)) = &block.trait_ {
            faults.at(
                of_trait,
                "#[handlers] belongs on the actor's own `impl` block, not on that of a trait",
            );
            return None;
        }
        let Some(name) = last_name(&block.self_ty) else {
            faults.at(
                &block.self_ty,
                "#[handlers] needs the name of an actor here",
            );
            return None;
        };
        let mut generics = block.generics.clone();
        let is_owned = generics.lifetimes().next().is_none();
        let borrows = make_owned(&mut Type::clone(&block.self_ty)).filter(|_| is_owned);
        if let Some(unfit) = borrows {
            faults.at(unfit.tokens, generics::NO_BORROWING_ACTOR);
            return None;
        }
        generics::refuse_lifetimes(&mut generics, generics::NO_BORROWING_ACTOR, faults);
        NameSelf(&block.self_ty).visit_generics_mut(&mut generics);
        let cfgs = block
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("cfg"));
        is_owned.then(|| Self {
            actor: Type::clone(&block.self_ty),
            name,
            generics,
            threads,
            cfgs: cfgs.cloned().collect(),
        })
    }

    /// The parameters with the bounds that the actor needs, and the messages that go to it.
    pub(crate) fn bounded_generics(&self, messages: &[Ident]) -> Generics {
        let mut generics = self.generics.clone();
        let params = generics::type_params(&generics);
        generics::require(
            &mut generics,
            &params,
            &generics::actor_bounds(self.threads),
        );
        if self.threads == Threads::One {
            generics::require(&mut generics, messages, &generics::message_bounds());
        }
        generics
    }
}

fn last_name(ty: &Type) -> Option<Ident> {
    match ty {
        Type::Path(path) => Some(path.path.segments.last()?.ident.clone()),
        Type::Group(group) => last_name(&group.elem),
        Type::Paren(paren) => last_name(&paren.elem),
        _ => None,
    }
}
