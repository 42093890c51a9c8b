package simulate

import "strconv"

// account is a number that stands for a name: a space, which is a population's
// or a list's, and behind it a number in it. No two numbers have the same name.
func account(space, n uint64) uint64 { return space<<32 | n&(1<<32-1) }

// spaceOf is the space of a population's or a list's accounts.
func spaceOf(name string) uint64 {
	r := stream(0, "accounts", uint64(len(name)))
	return mix(r.state^stream(0, name).state) & 0xffff
}

var firstNames = [64]string{
	"anna", "ben", "carla", "david", "elena", "frank", "grace", "henry", "ines", "jack", "kira", "liam", "maria", "noah", "olga", "peter",
	"quinn", "rosa", "sam", "tina", "umar", "vera", "will", "xenia", "yuri", "zoe", "aaron", "bella", "chris", "diana", "emil", "fiona",
	"george", "hanna", "ivan", "julia", "karl", "laura", "marco", "nina", "oscar", "paula", "rafael", "sara", "tom", "ursula", "victor", "wanda",
	"adam", "beth", "carlos", "dora", "erik", "felix", "gina", "hugo", "irene", "jonas", "kate", "leo", "mona", "nick", "otto", "pia",
}

var lastNames = [64]string{
	"adler", "baker", "cohen", "diaz", "evans", "fischer", "garcia", "hansen", "ivanov", "jones", "kim", "lopez", "martin", "nguyen", "olsen", "patel",
	"quint", "rossi", "smith", "tanaka", "usman", "vogel", "weber", "xu", "young", "zimmer", "allen", "brown", "clark", "davis", "ellis", "ford",
	"green", "hill", "ito", "jensen", "keller", "lee", "moore", "novak", "ortiz", "parker", "reed", "scott", "turner", "unger", "vidal", "wood",
	"abbott", "bauer", "cruz", "dunn", "engel", "flores", "gray", "hahn", "irwin", "james", "kaya", "lang", "meyer", "neal", "owens", "price",
}

var domains = [4]string{"mail.example", "post.example", "web.example", "inbox.example"}

// appendAccount appends the name of an account: two of 64 names, and what
// tells it from others of that name.
func appendAccount(b []byte, n uint64) []byte {
	number, space := n&(1<<32-1), n>>32
	b = append(b, firstNames[number&63]...)
	b = append(b, '.')
	b = append(b, lastNames[number>>6&63]...)
	b = strconv.AppendUint(b, number>>12<<16|space, 36)
	b = append(b, '@')
	return append(b, domains[mix(n)&3]...)
}
