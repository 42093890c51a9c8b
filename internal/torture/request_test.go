package torture

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// request is one line of a log, and where it stands there.
type request struct {
	id      int
	at      int64 // Unix milliseconds
	address string
	path    string
	post    bool
	status  int
	bytes   int64
	user    string

	log    int   // of the logs
	offset int64 // in it
	second int64 // in which it counts, by the clock of its log
}

// site is the host of all requests.
const site = "shop.example"

// idName stands before the id in a line.
const idName = `,"request_id":"`

// line writes the request as nginx does with escape=json.
func (r *request) line(b []byte) []byte {
	method := "GET"
	if r.post {
		method = "POST"
	}
	b = append(b, `{"time_iso8601":"`...)
	b = time.UnixMilli(r.at).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, `","remote_addr":"`+r.address+`","host":"`+site+`","request_method":"`+method+`","request_uri":"`+r.path+`","status":`...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, `,"body_bytes_sent":`...)
	b = strconv.AppendInt(b, r.bytes, 10)
	b = append(b, `,"http_user_agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0"`...)
	if r.user != "" {
		b = append(b, `,"username":"`+r.user+`"`...)
	}
	b = append(b, idName...)
	b = strconv.AppendInt(b, int64(r.id), 10)
	return append(b, "\"}\n"...)
}

// ip is the address as rules see it: of IPv6 its /64.
func (r *request) ip() string {
	a := netip.MustParseAddr(r.address)
	if a.Is4() {
		return r.address
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// The outcomes of a request; what is not tried has none.
const (
	nothing = iota
	success
	failure
)

// outcome is what came of a request: only log-ins are tried here.
func (r *request) outcome() int {
	switch {
	case !r.login():
		return nothing
	case r.status == 401:
		return failure
	}
	return success
}

func (r *request) login() bool { return r.post && r.path == "/login" }

// endpoint is the method and the path with its placeholders.
func (r *request) endpoint() string {
	if r.login() {
		return "POST /login"
	}
	path := r.path
	if strings.HasPrefix(path, "/products/") {
		path = "/products/{id}"
	}
	return "GET " + path
}

// secret is what the key file holds.
var secret = strings.Repeat("k", 32)

// pseudonym is an account as decisions show it: the first 32 hexadecimal digits
// of HMAC-SHA-256 under the hash of the key file.
func pseudonym(user string) string {
	key := sha256.Sum256([]byte(secret))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(strings.ToLower(user)))
	return hex.EncodeToString(mac.Sum(nil))[:32]
}
