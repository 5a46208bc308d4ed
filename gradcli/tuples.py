"""typing.NamedTuple for modules that every start imports: made in a tenth of the time, since nothing is compiled for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    try:
        from _collections import _tuplegetter
    except ImportError:  # other interpreters than CPython
        from operator import itemgetter

        def _tuplegetter(index, doc):
            return property(itemgetter(index), doc=doc)

    class _Fields(type):
        """Annotations become positions of a tuple."""

        def __new__(mcs, name, bases, own):
            fields = tuple(own.get("__annotations__", ()))
            defaults = {field: own.pop(field) for field in fields if field in own}
            own |= {field: _tuplegetter(i, None) for i, field in enumerate(fields)}
            last = tuple([defaults[field] for field in fields[len(fields) - len(defaults) :] if field in defaults])
            own |= {
                "__slots__": (),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
                "_last": last,
            }
            return super().__new__(mcs, name, bases, own)

    class NamedTuple(tuple, metaclass=_Fields):
        """The base of tuples whose fields are annotated, with defaults."""

        def __new__(cls, *values, **named):
            fields = cls._fields
            lacking = len(fields) - len(values)
            if not named and 0 < lacking <= len(cls._last):
                return tuple.__new__(cls, (*values, *cls._last[-lacking:]))
            if named or lacking:
                values = [*values, *[named.pop(f, cls._field_defaults.get(f, cls)) for f in fields[len(values) :]]]
                missing = [field for field, value in zip(fields, values, strict=False) if value is cls]
                if missing or named or len(values) > len(fields):
                    wrong = f"lacks {', '.join(missing)}" if missing else f"has the fields {', '.join(fields)}"
                    raise TypeError(f"{cls.__name__} {wrong}")
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changed):
            return type(self)(**{**self._asdict(), **changed})

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            shown = ", ".join([f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True)])
            return f"{type(self).__name__}({shown})"
