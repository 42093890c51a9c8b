package enrich

import "strings"

// The limits of a template made by shape.
const (
	maxShape    = 120 // bytes; with the method an endpoint has at most 128
	maxSegments = 8
	ellipsis    = "{...}"
)

// appendShape appends the template of a clean path for which the site file has
// no pattern: what looks like a value is replaced by a placeholder. from and to
// say where in path the value of the last placeholder stands (-1: there is
// none).
//
// It is a pure function of the path, and attackers choose paths: a segment that
// is not made of plausible words becomes a placeholder, however odd it is.
// Shaping a template again changes nothing.
func appendShape(dst []byte, path string) (out []byte, from, to int) {
	base := len(dst)
	from, to = -1, -1
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return append(dst, '/'), from, to
	}
	file := strings.LastIndexByte(path, '/') + 1
	asset := isAssetName(path[file:])
	under := false // the last segment names a collection, whose members have slugs
	for n, start := 0, 1; start <= len(path); n++ {
		end := nextSlash(path, start)
		if asset && n == 2 && end < len(path) {
			// Static files lie in deep trees of which only the root tells anything.
			dst = append(append(dst, '/'), ellipsis...)
			start, under = file, false
			continue
		}
		mark, name := len(dst), path[start:end]
		dst = append(dst, '/')
		var valueFrom, valueTo int
		if long := dateEnd(path, start); long > 0 {
			end, valueFrom, valueTo = long, 0, long-start
			dst = append(dst, "{date}"...)
		} else {
			dst, valueFrom, valueTo = appendSegment(dst, name, under, end == len(path))
		}
		under = collections[string(dst[mark+1:])]
		reserve := 0
		if end < len(path) {
			reserve = len("/" + ellipsis)
		}
		if n == maxSegments || len(dst)-base+reserve > maxShape {
			return append(append(dst[:mark], '/'), ellipsis...), from, to
		}
		if valueTo > valueFrom {
			from, to = start+valueFrom, start+valueTo
		}
		start = end + 1
	}
	return dst, from, to
}

func nextSlash(path string, from int) int {
	if i := strings.IndexByte(path[from:], '/'); i >= 0 {
		return from + i
	}
	return len(path)
}

// dateEnd returns where a date over several segments ends, /2015/08 or
// /2015/08/10, or 0 where none begins.
func dateEnd(path string, start int) int {
	if start+7 > len(path) || path[start+4] != '/' || !isYear(path[start:start+4]) || !isNumberUpTo(path[start+5:start+7], 12) {
		return 0
	}
	end := start + 7
	if end == len(path) {
		return end
	}
	if path[end] != '/' {
		return 0
	}
	if day := end + 3; day <= len(path) && (day == len(path) || path[day] == '/') && isNumberUpTo(path[end+1:day], 31) {
		return day
	}
	return end
}

func isYear(s string) bool { return s >= "1970" && s <= "2099" && isDigits(s) }

// isNumberUpTo reports whether s is a two-digit number from 1 to limit.
func isNumberUpTo(s string, limit int) bool {
	if !isDigits(s) {
		return false
	}
	n := int(s[0]-'0')*10 + int(s[1]-'0')
	return n >= 1 && n <= limit
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// collections are segments whose next one is a name that somebody gave, not a
// word of the application. {date} stands before the title of a post.
var collections = stringSet("article articles author authors blog brand brands campaign campaigns categories category collection collections " +
	"department departments event events item items member members news p post posts product products profile profiles story stories " +
	"tag tagged tags topic topics u user users wiki {date}")

// verbs are segments that do not name a member of the collection before them.
var verbs = stringSet("add all amp auth batch bulk cart checkout confirm create delete edit embed export feed filter forgot import index list login " +
	"logout lookup me new page password popular register related reset reviews search session sessions settings sign_in sign_out sign_up " +
	"signin signout signup suggest trackback top update upload verify")

// appendSegment appends one segment, and returns where in it the value of its
// placeholder stands. Under a collection a word is a name.
func appendSegment(dst []byte, s string, under, last bool) (out []byte, from, to int) {
	stem, ext := splitExtension(s)
	if last && isAsset(ext) && !wellKnownFiles[s] {
		dst = append(dst, "{file}"...)
		return append(append(dst, '.'), ext...), 0, len(stem)
	}
	prefix, name := shapeOf(stem)
	if under && (name == "" && !verbs[stem] && !collections[stem] || name == "{id}" || prefix > 0) {
		prefix, name = 0, "{slug}"
	}
	from, to = -1, -1
	if name == "" {
		dst = append(dst, stem...)
	} else {
		dst = append(append(dst, stem[:prefix]...), name...)
		from, to = prefix, len(stem)
	}
	if ext != "" {
		dst = append(append(dst, '.'), ext...)
	}
	return dst, from, to
}

// placeholders are what shapes write; they stay what they are.
var placeholders = stringSet("{n} {uuid} {hex} {date} {slug} {id} {mail} {file} " + ellipsis)

// shapeOf says what a segment without its extension is: a literal (name is
// empty), or its first prefix bytes and a placeholder.
func shapeOf(s string) (prefix int, name string) {
	switch {
	case s == "":
		return 0, ""
	case s[0] == '{' && placeholders[s]:
		return 0, s
	case isDigits(s):
		if len(s) == 8 && isYear(s[:4]) && isNumberUpTo(s[4:6], 12) && isNumberUpTo(s[6:], 31) {
			return 0, "{date}"
		}
		return 0, "{n}"
	case isUUID(s):
		return 0, "{uuid}"
	case isMail(s):
		return 0, "{mail}"
	case len(s) >= 7 && isYear(s[:4]) && isDate(s):
		return 0, "{date}"
	case isDigit(s[0]) && isDigit(s[len(s)-1]) && strings.Trim(s, "0123456789.,_-x") == "" && isNumbers(s):
		return 0, "{n}"
	case len(s) >= 8 && isHexToken(s):
		return 0, "{hex}"
	}
	switch s[0] {
	case '.', '~', '@', '_', '-':
		_, name = wordShape(s[1:])
		switch {
		case s[0] == '~' || s[0] == '@':
			return 1, "{id}" // a person's
		case name == "":
			return 0, ""
		}
		return 0, "{id}"
	}
	return wordShape(s)
}

func isNumbers(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && (i+1 == len(s) || !isDigit(s[i+1])) {
			return false
		}
	}
	return true
}

// isDate reports whether s, which begins with a year, is 2015-08 or 2015-08-10
// with any of - . _ between.
func isDate(s string) bool {
	sep := s[4]
	if sep != '-' && sep != '.' && sep != '_' || !isNumberUpTo(s[5:7], 12) {
		return false
	}
	return len(s) == 7 || len(s) == 10 && s[7] == sep && isNumberUpTo(s[8:], 31)
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isHexToken reports whether s is hexadecimal and no word: it has a digit, or
// is too long for one.
func isHexToken(s string) bool {
	digit := len(s) >= 16
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
		digit = digit || isDigit(s[i])
	}
	return digit
}

// isMail reports whether s has the form of a mail address; the at sign may be
// escaped.
func isMail(s string) bool {
	i, n := strings.IndexByte(s, '@'), 1
	if i < 0 {
		i, n = strings.Index(s, "%40"), 3
	}
	if i <= 0 {
		return false
	}
	domain := s[i+n:]
	dot := strings.LastIndexByte(domain, '.')
	return dot > 0 && dot+2 < len(domain)
}
