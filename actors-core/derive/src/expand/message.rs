//! `#[derive(Message)]`: an impl that names the reply.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::DeriveInput;

use super::{generics, shown_at};
use crate::attr;
use crate::faults::Faults;

pub(crate) fn message(mut input: DeriveInput) -> TokenStream {
    let mut faults = Faults::default();
    let reply = attr::reply(&input.attrs, &mut faults);
    generics::refuse_lifetimes(
        &mut input.generics,
        "a message outlives its sender's stack, so it cannot borrow; use an owned type",
        &mut faults,
    );
    let params = generics::type_params(&input.generics);
    generics::require(&mut input.generics, &params, &generics::message_bounds());

    let name = &input.ident;
    let (params, args, clause) = input.generics.split_for_impl();
    quote_spanned! {shown_at(name.span())=>
        #faults
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #params ::actors_core::Message for #name #args #clause {
            type Reply = #reply;
        }
    }
}
