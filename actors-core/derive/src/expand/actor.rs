//! `#[derive(Actor)]` and `#[derive(LocalActor)]`: an impl without hooks.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::DeriveInput;

use super::{generics, shown_at};
use crate::attr::Threads;
use crate::faults::Faults;

pub(crate) fn actor(mut input: DeriveInput, threads: Threads) -> TokenStream {
    let mut faults = Faults::default();
    generics::refuse_lifetimes(
        &mut input.generics,
        generics::NO_BORROWING_ACTOR,
        &mut faults,
    );
    let params = generics::type_params(&input.generics);
    generics::require(
        &mut input.generics,
        &params,
        &generics::actor_bounds(threads),
    );

    let name = &input.ident;
    let (params, args, clause) = input.generics.split_for_impl();
    let span = shown_at(name.span());
    let actor = match threads {
        Threads::Any => quote_spanned!(span=> ::actors_core::Actor),
        Threads::One => quote_spanned!(span=> ::actors_core::LocalActor),
    };
    quote_spanned! {span=>
        #faults
        #[automatically_derived]
        impl #params #actor for #name #args #clause {
            const HAS_HOOKS: bool = false;
        }
    }
}
