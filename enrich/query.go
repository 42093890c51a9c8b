package enrich

import (
	"strings"

	"weir/event"
)

// The limits of what is looked at in one text. What is behind them is hidden
// as a whole: a text made of secrets only must not cost more than others.
const (
	maxParameters   = 64
	maxReplacements = 16
	maxParameter    = 64 // bytes of a parameter's name that a site file gives
	maxUnescapes    = 3  // how often a value within a value is unescaped
)

// secretParameters are names of parameters whose values are secret, or name a
// person, in lower case.
var secretParameters = stringSet("pass pw psw pin otp totp mfa tan auth authorization authentication authkey auth_key key app_key appkey " +
	"access_key accesskey private_key license_key subscription-key sig signature hmac code jwt saml samlresponse samlrequest assertion ticket " +
	"user username user_name login log uname userid user_id account mail e-mail phone mobile tel telephone msisdn card cardnumber card_number " +
	"ccnum cc ccn cvv cvc cvv2 cvn pan iban ssn sin dob birthday birthdate session sessid sid jsessionid phpsessid cfid cftoken sessionid " +
	"session_id session_key sessionkey giftcard gift_card voucher")

// redactor replaces secrets in texts by their pseudonyms.
type redactor struct {
	more   map[string]bool // a site's names of parameters, besides the well-known
	hide   *pseudonyms
	name   [2 * maxParameter]byte
	names  nameMemo
	value  []byte // a secret, unescaped
	nested []byte // a value, unescaped
}

func newRedactor(p *pseudonyms, names []string) *redactor {
	r := &redactor{hide: p, more: map[string]bool{}}
	for _, n := range names {
		r.more[n] = true
	}
	return r
}

// query returns a query in which the values of secret parameters are replaced.
func (r *redactor) query(mem *event.Arena, q string) string {
	return r.text(mem, q, 0, true)
}

// path returns a path in which segments that are mail addresses or card
// numbers are replaced, and the values of secret parameters.
func (r *redactor) path(mem *event.Arena, p string) string {
	if !suspicious(p) {
		return p
	}
	return r.text(mem, p, 0, false)
}

// referer returns a URL without what it says about a user before its host, its
// path and query treated as an event's own.
func (r *redactor) referer(mem *event.Arena, u string) string {
	if !suspicious(u) {
		return u
	}
	host := 0
	if i := strings.Index(u, "://"); i >= 0 {
		host = i + len("://")
	}
	end := len(u)
	if i := strings.IndexAny(u[host:], "/?#"); i >= 0 {
		end = host + i
	}
	if i := strings.LastIndexByte(u[host:end], '@'); i >= 0 && host > 0 {
		out := append(mem.Grow(len(u)+valuePseudonymSize), u[:host]...)
		out = r.hide.append(out, value, u[host:host+i], valuePseudonymSize)
		shift := len(out) - host - i
		u = mem.Keep(append(out, u[host+i:]...))
		end += shift
	} else if host == 0 {
		end = 0 // no URL: all of it is looked at
	}
	return r.text(mem, u, end, false)
}

// suspicious reports whether there can be a secret in a path: it has a
// parameter, an at sign, an escape or a long number.
func suspicious(p string) bool {
	digits := 0
	for i := range len(p) {
		switch c := p[i]; {
		case isDigit(c):
			if digits++; digits >= minCard {
				return true
			}
		case c == '@', c == '%', c == '=':
			return true
		case c != '-' && c != '+' && c != '.':
			digits = 0
		}
	}
	return false
}
