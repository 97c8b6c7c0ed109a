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

    /// Their names.
    const NAMES: [&'static str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

    const EXTENSION: u8 = 9;

    /// The method with this name. What is no name of a registered method is taken as an extension, unchecked.
    pub fn new(name: &'a [u8]) -> Self {
        Self::registered(Self::index_of(name)).unwrap_or(Self::Extension(name))
    }

    /// The place of this name among the registered ones; the one behind them for all others.
    pub(crate) fn index_of(name: &[u8]) -> u8 {
        // In the place of a `match` on the name, which is three times the flash; GET comes first in both.
        let known = (0..).zip(&Self::NAMES).find(|(_, registered)| registered.as_bytes() == name);
        known.map_or(Self::EXTENSION, |(index, _)| index)
    }

    /// The registered one in this place.
    pub(crate) const fn registered(index: u8) -> Option<Self> {
        Some(match index {
            0 => Self::Get,
            1 => Self::Head,
            2 => Self::Post,
            3 => Self::Put,
            4 => Self::Delete,
            5 => Self::Connect,
            6 => Self::Options,
            7 => Self::Trace,
            8 => Self::Patch,
            _ => return None,
        })
    }

    /// The name, as it stands in the request line.
    pub fn as_bytes(&self) -> &'a [u8] {
        if let Self::Extension(name) = self {
            return name;
        }
        Self::NAMES.get(usize::from(self.index())).map(|name| name.as_bytes()).unwrap_or_default()
    }

    /// Its place among the registered ones; the one behind them for all others.
    pub(crate) const fn index(self) -> u8 {
        match self {
            Self::Get => 0,
            Self::Head => 1,
            Self::Post => 2,
            Self::Put => 3,
            Self::Delete => 4,
            Self::Connect => 5,
            Self::Options => 6,
            Self::Trace => 7,
            Self::Patch => 8,
            Self::Extension(_) => Self::EXTENSION,
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
        self.0 >> method.index() & 1 != 0
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
