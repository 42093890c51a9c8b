package event

import (
	"net/netip"
	"strconv"
)

// AppendValue appends a field's value in the form that keys keep: an ip is 4
// bytes or the 8 of its /64, a net 3 bytes or the 6 of its /48, everything
// else its text. An absent field appends nothing.
func (e *Event) AppendValue(dst []byte, f Field) []byte {
	switch f {
	case FieldIP, FieldNet:
		if !e.IP.IsValid() {
			return dst
		}
		short := 0
		if f == FieldNet {
			short = 1
		}
		if e.IP.Is4() {
			a := e.IP.As4()
			return append(dst, a[:4-short]...)
		}
		a := e.IP.As16()
		return append(dst, a[:8-2*short]...)
	}
	return e.AppendText(dst, f)
}

// appendAddr appends an address as rules write it: itself, its /64, or as a
// net its /24 or /48. It does not allocate.
func appendAddr(dst []byte, a netip.Addr, f Field) []byte {
	bits := 0
	switch {
	case !a.IsValid():
		return dst
	case a.Is4() && f == FieldIP:
		return a.AppendTo(dst)
	case a.Is4():
		bits = 24
	case f == FieldIP:
		bits = 64
	default:
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return dst // no address has fewer bits
	}
	return p.AppendTo(dst)
}

// FormatValue appends the text of a value that AppendValue made: an address,
// a prefix, or the text itself.
func FormatValue(dst []byte, f Field, v []byte) []byte {
	if f != FieldIP && f != FieldNet {
		return append(dst, v...)
	}
	var a16 [16]byte
	switch len(v) {
	case 3, 4:
		var a [4]byte
		copy(a[:], v)
		dst = netip.AddrFrom4(a).AppendTo(dst)
		if len(v) == 3 {
			dst = append(dst, "/24"...)
		}
	case 6, 8:
		copy(a16[:], v)
		dst = netip.AddrFrom16(a16).AppendTo(dst)
		dst = append(dst, '/')
		dst = strconv.AppendInt(dst, int64(len(v)*8), 10)
	}
	return dst
}
