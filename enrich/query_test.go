package enrich

import (
	"encoding/hex"
	"strings"
	"testing"

	"weir/event"
)

// valueDigits is what stands in a text in place of a secret.
func valueDigits(s string) string {
	return hex.EncodeToString(event.FixedKey().MAC("value", []byte(s)))[:valuePseudonymSize]
}

// expand replaces <secret> in a wanted text by the secret's pseudonym.
func expand(want string) string {
	for {
		from := strings.IndexByte(want, '<')
		if from < 0 {
			return want
		}
		to := from + strings.IndexByte(want[from:], '>')
		want = want[:from] + valueDigits(want[from+1:to]) + want[to+1:]
	}
}

func testRedactor() *redactor {
	return newRedactor(newPseudonyms(event.FixedKey(), pseudonymSlots), []string{"member"})
}

func TestSecretsInQueriesAreReplaced(t *testing.T) {
	r := testRedactor()
	for _, c := range []struct{ query, want string }{
		{"", ""}, {"a=1&b=2", "a=1&b=2"}, {"a", "a"}, {"&&=&;", "&&=&;"},
		{"password=x1", "password=<x1>"}, {"a=1&PassWord=x1&b=2", "a=1&PassWord=<x1>&b=2"}, {"pass%77ord=x1", "pass%77ord=<x1>"},
		{"p%61ss=x1", "p%61ss=<x1>"}, {"password=", "password="}, {"password=%20", "password="}, {"new_password2=x1", "new_password2=<x1>"},
		{"user[password]=x1", "user[password]=<x1>"}, {"user%5Bpin%5D=x1", "user%5Bpin%5D=<x1>"}, {"form.otp=x1", "form.otp=<x1>"},
		{"ctl00$Main$Login$Pin=x1", "ctl00$Main$Login$Pin=<x1>"},
		{"access_token=a.b.c&x=1", "access_token=<a.b.c>&x=1"}, {"id_token=a", "id_token=<a>"}, {"api_key=a", "api_key=<a>"}, {"X-Api-Key=a", "X-Api-Key=<a>"},
		{"code=123&sid=9", "code=<123>&sid=<9>"}, {"zipcode=123", "zipcode=123"}, {"member=m1", "member=<m1>"},
		{"password=a;b=c&d=1", "password=<a;b=c>&d=1"}, {"a=1;password=x1", "a=1;password=<x1>"}, {"password=a=b", "password=<a=b>"},
		{"password=a%26b", "password=<a&b>"},
		{"q=alice@mail.example", "q=<alice@mail.example>"}, {"q=alice%40mail.example", "q=<alice@mail.example>"}, {"alice@mail.example", "<alice@mail.example>"},
		{"q=@alice", "q=@alice"}, {"q=4111111111111111", "q=<4111111111111111>"}, {"q=4111+1111+1111+1111", "q=<4111+1111+1111+1111>"},
		{"q=4111111111111112", "q=4111111111111112"}, {"_=1455938472123", "_=1455938472123"},
		{"next=%2Flogin%3Fpassword%3Dx1", "next=</login?password=x1>"}, {"next=/a?token=x1", "next=/a?token=<x1>"},
		{"next=%252Flogin%253Fpassword%253Dx1", "next=<%2Flogin%3Fpassword%3Dx1>"}, {"next=%2Fa%3Fb%3D1", "next=%2Fa%3Fb%3D1"},
		{"next=%252Fa%253Fb%253D1", "next=%252Fa%253Fb%253D1"},
		{"u=https://a.example/?email=x", "u=https://a.example/?email=<x>"},
	} {
		var mem event.Arena
		if got := r.query(&mem, c.query); got != expand(c.want) {
			t.Errorf("%s: %s, want %s", c.query, got, expand(c.want))
		}
	}
}

func TestSecretsInPathsAreReplaced(t *testing.T) {
	r := testRedactor()
	for _, c := range []struct{ path, want string }{
		{"/", "/"}, {"/a/b", "/a/b"}, {"/users/alice@mail.example/x", "/users/<alice@mail.example>/x"}, {"/u/alice%40mail.example", "/u/<alice@mail.example>"},
		{"/pay/4111111111111111", "/pay/<4111111111111111>"}, {"/pay/4111-1111-1111-1111/x", "/pay/<4111-1111-1111-1111>/x"},
		{"/pay/4111111111111112", "/pay/4111111111111112"}, {"/a;jsessionid=AB/b", "/a;jsessionid=<AB>/b"}, {"/a?password=x1&b=1", "/a?password=<x1>&b=1"},
		{"/token=x1/b", "/token=<x1>/b"}, {"/@alice", "/@alice"}, {"/a%20b", "/a%20b"},
	} {
		var mem event.Arena
		if got := r.path(&mem, c.path); got != expand(c.want) {
			t.Errorf("%s: %s, want %s", c.path, got, expand(c.want))
		}
	}
}

func TestSecretsInReferersAreReplaced(t *testing.T) {
	r := testRedactor()
	for _, c := range []struct{ url, want string }{
		{"", ""}, {"-", "-"}, {"https://a.example/b?c=1", "https://a.example/b?c=1"},
		{"https://a.example/b?token=x1#c", "https://a.example/b?token=<x1>#c"}, {"https://a.example/#access_token=x1&t=1", "https://a.example/#access_token=<x1>&t=1"},
		{"https://alice:pw@a.example/b?pin=1", "https://<alice:pw>@a.example/b?pin=<1>"}, {"https://a.example?pin=1", "https://a.example?pin=<1>"},
		{"https://a.example/u/alice@mail.example", "https://a.example/u/<alice@mail.example>"}, {"alice@mail.example", "<alice@mail.example>"},
		{"/b?pin=1", "/b?pin=<1>"},
	} {
		var mem event.Arena
		if got := r.referer(&mem, c.url); got != expand(c.want) {
			t.Errorf("%s: %s, want %s", c.url, got, expand(c.want))
		}
	}
}

func TestTextsOfSecretsOnlyStayBounded(t *testing.T) {
	r := testRedactor()
	for _, q := range []string{strings.Repeat("pin=1&", 400), strings.Repeat("a&", 1000), strings.Repeat("a@b.cd&", 250), "x=" + strings.Repeat("%2540", 400)} {
		var mem event.Arena
		got := r.query(&mem, q)
		if len(got) > len(q)+(maxReplacements+1)*valuePseudonymSize {
			t.Errorf("%.20q…: %d bytes became %d", q, len(q), len(got))
		}
		if strings.Contains(got, "pin=1&") || strings.Contains(got, "a@b.cd") {
			t.Errorf("%.20q…: a secret is left in %s", q, got)
		}
	}
}

func TestCardNumbersAreRecognised(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"4111111111111111", true}, {"378282246310005", true}, {"5555555555554444", true}, {"6011111111111117", true}, {"30569309025904", true},
		{"4222222222222", true}, {"x4111111111111111y", true}, {"12-4111111111111111", true}, {"4111.1111.1111.1111", true},
		{"41111111111111110000000", false}, {"4111111111111112", false}, {"0000000000000000", false}, {"1234567890123", false}, {"411111111111111", false}, {"", false},
	} {
		if hasCard(c.text) != c.want {
			t.Errorf("%q: %v", c.text, !c.want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"password=x1&b=2", "a;b?c#d/e", "next=%2Flogin%3Fpassword%3Dx1", "https://a:b@c.example/d?e=f@g.hi", "%", "=", "4111111111111111"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 2<<10 {
			return // decoders cut fields there
		}
		r := testRedactor()
		var mem event.Arena
		for _, got := range []string{r.query(&mem, s), r.path(&mem, s), r.referer(&mem, s)} {
			if len(got) > len(s)+(maxReplacements+2)*valuePseudonymSize {
				t.Errorf("%q became %q", s, got)
			}
		}
		marked := r.query(&mem, "password=S3cretValue&"+s)
		if strings.Contains(marked, "S3cretValue") && !strings.Contains(s, "S3cretValue") {
			t.Errorf("%q: a secret is left in %q", s, marked)
		}
	})
}
