use compact_str::CompactString;

/// From where a command came: what velocity rules count by. Nobody's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The id of the key. `None` for what comes with none, such as a replay or an import: it is not counted.
    pub key: Option<CompactString>,
    /// Who used the key, where several do; an order's own `staff` goes first.
    pub staff: Option<CompactString>,
    /// The till or phone, as a keyed hash.
    pub device: Option<CompactString>,
    /// The shop; an order's own `location` goes first.
    pub location: Option<CompactString>,
    /// The staff id of the member themselves, where the order of this command says they rang it up.
    pub own_staff: Option<CompactString>,
}

static NOWHERE: Origin = Origin { key: None, staff: None, device: None, location: None, own_staff: None };

impl Origin {
    /// From nowhere in particular.
    pub fn nowhere() -> &'static Self {
        &NOWHERE
    }
}
