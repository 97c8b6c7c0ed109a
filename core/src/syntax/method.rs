//! Request methods (RFC 9110 §9, RFC 5789).

/// The method of a request. Methods are case-sensitive: `get` is an extension method, not GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "command")]
pub enum Method<'a> {
    /// RFC 9110 §9.3.1
    Get,
    /// RFC 9110 §9.3.2
    Head,
    /// RFC 9110 §9.3.3
    Post,
    /// RFC 9110 §9.3.4
    Put,
    /// RFC 9110 §9.3.5
    Delete,
    /// RFC 9110 §9.3.6
    Connect,
    /// RFC 9110 §9.3.7
    Options,
    /// RFC 9110 §9.3.8
    Trace,
    /// RFC 5789
    Patch,
    /// Any other token.
    Extension(&'a [u8]),
}

impl<'a> Method<'a> {
    const REGISTERED: [Method<'static>; 9] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Connect,
        Method::Options,
        Method::Trace,
        Method::Patch,
    ];

    /// The method with this name. What is no name of a registered method is taken as an extension, unchecked.
    pub fn new(name: &'a [u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Extension(name),
        }
    }

    /// The name, as it stands in the request line.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Get => b"GET",
            Self::Head => b"HEAD",
            Self::Post => b"POST",
            Self::Put => b"PUT",
            Self::Delete => b"DELETE",
            Self::Connect => b"CONNECT",
            Self::Options => b"OPTIONS",
            Self::Trace => b"TRACE",
            Self::Patch => b"PATCH",
            Self::Extension(name) => name,
        }
    }
}

/// A set of registered methods: what a resource can do, for `Allow` (RFC 9110 §10.2.1).
///
/// ```
/// use httpling_core::{Method, Methods};
///
/// const READ_ONLY: Methods = Methods::NONE.get();
/// assert!(READ_ONLY.contains(Method::Head));
/// assert!(!READ_ONLY.contains(Method::Put));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods(u16);

impl Methods {
    /// The empty set.
    pub const NONE: Self = Self(0);

    const fn with(self, bits: u16) -> Self {
        Self(self.0 | bits)
    }

    /// With GET, and with HEAD, which is GET without content.
    #[must_use]
    pub const fn get(self) -> Self {
        self.with(0b11)
    }

    /// With POST.
    #[must_use]
    pub const fn post(self) -> Self {
        self.with(1 << 2)
    }

    /// With PUT.
    #[must_use]
    pub const fn put(self) -> Self {
        self.with(1 << 3)
    }

    /// With DELETE.
    #[must_use]
    pub const fn delete(self) -> Self {
        self.with(1 << 4)
    }

    /// With CONNECT.
    #[must_use]
    pub const fn connect(self) -> Self {
        self.with(1 << 5)
    }

    /// With OPTIONS. The default `dispatch` answers OPTIONS from the set itself and adds it.
    #[must_use]
    pub const fn options(self) -> Self {
        self.with(1 << 6)
    }

    /// With TRACE.
    #[must_use]
    pub const fn trace(self) -> Self {
        self.with(1 << 7)
    }

    /// With PATCH.
    #[must_use]
    pub const fn patch(self) -> Self {
        self.with(1 << 8)
    }

    /// Is `method` in the set? Extension methods never are.
    pub fn contains(self, method: Method<'_>) -> bool {
        let bit = match method {
            Method::Get => 1,
            Method::Head => 1 << 1,
            Method::Post => 1 << 2,
            Method::Put => 1 << 3,
            Method::Delete => 1 << 4,
            Method::Connect => 1 << 5,
            Method::Options => 1 << 6,
            Method::Trace => 1 << 7,
            Method::Patch => 1 << 8,
            Method::Extension(_) => 0,
        };
        self.0 & bit != 0
    }

    /// The members, in the order of RFC 9110 §9.3.
    pub fn iter(self) -> impl Iterator<Item = Method<'static>> {
        Method::REGISTERED.iter().copied().filter(move |&method| self.contains(method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_methods_agree() {
        for method in Method::REGISTERED {
            assert_eq!(Method::new(method.as_bytes()), method);
            let mut lower = [0; 8];
            let lower = &mut lower[..method.as_bytes().len()];
            lower.copy_from_slice(method.as_bytes());
            lower.make_ascii_lowercase();
            assert_eq!(Method::new(lower), Method::Extension(lower));
        }
    }

    #[test]
    fn each_builder_adds_its_method() {
        let all = Methods::NONE.get().post().put().delete().connect().options().trace().patch();
        assert!(all.iter().eq(Method::REGISTERED));
        assert!(Methods::NONE.get().iter().eq([Method::Get, Method::Head]));
        assert!(Methods::NONE.delete().iter().eq([Method::Delete]));
        assert!(Methods::NONE.trace().iter().eq([Method::Trace]));
        assert!(!all.contains(Method::Extension(b"GET")));
    }
}
