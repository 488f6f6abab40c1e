//! `Self`, written out: generated items have another `Self`, or none.

use syn::visit_mut::{self, VisitMut};
use syn::{ExprPath, Path, QSelf, Type, TypePath, parse_quote};

/// Writes the actor's type wherever `Self` stands.
pub(crate) struct NameSelf<'a>(pub(crate) &'a Type);

impl VisitMut for NameSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if matches!(ty, Type::Path(it) if it.qself.is_none() && it.path.is_ident("Self")) {
            *ty = self.0.clone();
            return;
        }
        visit_mut::visit_type_mut(self, ty);
    }

    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        visit_mut::visit_type_path_mut(self, ty);
        self.qualify(&mut ty.qself, &mut ty.path);
    }

    fn visit_expr_path_mut(&mut self, expr: &mut ExprPath) {
        visit_mut::visit_expr_path_mut(self, expr);
        self.qualify(&mut expr.qself, &mut expr.path);
    }
}

impl NameSelf<'_> {
    /// `Self::LEN` becomes `<Actor>::LEN`.
    fn qualify(&self, qself: &mut Option<QSelf>, path: &mut Path) {
        let named = qself.is_none() && path.leading_colon.is_none();
        if !named || path.segments.len() < 2 || path.segments[0].ident != "Self" {
            return;
        }
        let (actor, rest) = (self.0, path.segments.iter().skip(1));
        let qualified: TypePath = parse_quote!(<#actor>::#(#rest)::*);
        *qself = qualified.qself;
        *path = qualified.path;
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn self_is_named_everywhere() {
        let actor: Type = syn::parse_str("Cache<K>").expect("a type");
        let mut ty: Type = syn::parse_str("(Self, [u8; Self::LEN], Vec<Self>)").expect("a type");
        NameSelf(&actor).visit_type_mut(&mut ty);
        let text = quote!(#ty).to_string().replace(' ', "");
        assert_eq!(text, "(Cache<K>,[u8;<Cache<K>>::LEN],Vec<Cache<K>>)");
    }
}
