//! The types for secrets cannot be printed, serialized, cloned or compared: a compile-time check.

/// Fails to compile if the type implements one of the traits: then two implementations of `Check` fit, and the
/// compiler cannot choose.
macro_rules! assert_implements_none {
    ($type:ty: $($trait:path),+ $(,)?) => {
        const _: fn() = || {
            trait Check<Marker> {
                fn check() {}
            }
            impl<T: ?Sized> Check<()> for T {}
            $({
                struct Marker;
                impl<T: ?Sized + $trait> Check<Marker> for T {}
            })+
            let _ = <$type as Check<_>>::check;
        };
    };
}

macro_rules! assert_secret {
    ($($type:ty),+ $(,)?) => {$(
        assert_implements_none!(
            $type: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq, std::hash::Hash
        );
    )+};
}

assert_secret!(alknet_vault::Mnemonic, alknet_vault::Seed, alknet_vault::SecretKey32, alknet_vault::Vault);

#[test]
fn secrets_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<alknet_vault::Mnemonic>();
    shared::<alknet_vault::Seed>();
    shared::<alknet_vault::SecretKey32>();
    shared::<alknet_vault::Vault>();
}
