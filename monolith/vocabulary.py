"""The words that generated rows are made of, among them the awkward ones of real data."""

_NOUNS = """
anchor apple armchair atlas barrel basket bell bicycle blanket boat book bottle bowl bracket brass bridge
brush bucket button cabinet camera candle canvas carpet castle chain chair chest clock cloth coat coin
column compass copper cotton crane crate cup curtain desk dial door drawer drum easel engine fabric
feather fence fig flask floor flute forge fountain frame garden gate gear glass globe glove hammer handle
harbour harp hat hinge hook iron ivory jar kettle key kite ladder lamp lantern latch leather lens letter
lever linen lock loom machine magnet map marble mask mast mill mirror needle oak oar organ oven paddle
paint panel paper pebble pen piano pillar pipe plank plate plough pocket pump quilt rail ribbon ring rope
rudder saddle sail scale scarf screw shelf shield ship silk silver spoon spring stamp statue steel stone
stove string table tent thread tile timber tower tray trunk tunnel valve vase veil velvet vessel violin
wagon wall watch wheel window wire wool
"""
_ADJECTIVES = """
amber ancient broad bright carved coarse crooked curved double faded fine folding gilded golden grey
heavy hollow large light little long narrow old pale plain polished quiet rough round rusty sharp short
simple slender small smooth soft solid square striped thin tiny tall twisted warm weathered white wide
woven
"""
NOUNS = tuple(_NOUNS.split())
ADJECTIVES = tuple(_ADJECTIVES.split())
AWKWARD = (
    "Straße",
    "İstanbul",
    "naïve",
    "crème brûlée",
    "日本語",
    "Ωmega",
    "🌿",
    "100%",
    "snake_case",
    "back\\slash",
    "O'Brien",
    '"quoted"',
    "<null>",
    "ﬁne",
    "e\u0301clair",
)
KINDS = ("article", "furniture", "instrument", "part", "textile", "tool")
MATERIALS = ("beech", "brass", "glass", "oak", "steel", None)
MEDIA_TYPES = ("image/jpeg", "image/png", "application/pdf", None)
EVENTS = ("resource.created", "resource.replaced", "resource.deleted")
