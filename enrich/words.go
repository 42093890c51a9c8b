package enrich

// letterPairs holds, for each letter and the one after it, how rare the pair
// is in English words: -log2 of its share among all pairs that begin with the
// letter, in one hexadecimal digit. It was counted over 10,000 words. Real
// words of other western languages come out much the same; random letters
// do not, and that is all it is for.
const letterPairs = "" +
	"b544a75a5b6353b5c342668869" +
	"3667378e36928847e446389a6a" +
	"3a5838735b4489289563589b7f" +
	"4775177927b57748b547478a6b" +
	"474366687a955385733486758b" +
	"4966338e2eb48737e4554eae5a" +
	"496827543e956438e347489e88" +
	"298728ba3eb76738e4645e9e6b" +
	"5645555bcc944236a544b5f7f5" +
	"37a527aa5aaa6736a7372a8a7a" +
	"477716593a66656688366a7a6a" +
	"3875278a2f83a937b95557af3a" +
	"2587299a3c765843ea5749be8e" +
	"484436294a6676579833668c89" +
	"6645866a69644254d34545589b" +
	"3b7838754c738a34c2545a9b6b" +
	"8b88bbbbbbb6b8b8b7660bbbbb" +
	"386527693c665637f544568b5c" +
	"584837843b6677548842497c5b" +
	"3a6727942fa67946d3455a895a" +
	"4446465c4cc44274f333aaf8b8" +
	"3978188a3dad7958a97a98ba9a" +
	"287637843d967437d347dd79ad" +
	"484738763cc86872c88278c56c" +
	"6758477739c53352c634a86c76" +
	"3b771bbb3bb79748b7788b8b75"

// maxWord is the longest run of letters that may be a word of a path.
const maxWord = 24

// abbreviations are common in paths and look like random letters.
var abbreviations = stringSet("ajax api ajaxified asmx aspnet backend bbs cdn cfm cgi cms cmd crm css csv ctl dns docs erp faq ftp " +
	"gdpr gql graphql grpc gwt hmr htdocs html http https img imgs inc jpg jpeg jmx js jsf json jsonrpc jsp jwks jwt kb kyc ldap lib libs lwp " +
	"mfa mgmt mssql mvc mysql myadmin nginx npm oembed oidc openid opml otp pdf php phpinfo phpmyadmin phpmyadmincd phpunit png " +
	"pma pwd qr rdf rpc rss rtf saml scm sdk shtml smtp soap sql sqlite sso sts svc svg swf sys tmp txt uid url vcs vpn webhook " +
	"wlwmanifest wp wpad wsdl www xhr xhtml xml xmlrpc xrpc xsd yml zip")

// plausible reports whether a run of letters could be a word: short, known,
// or made of pairs of letters that words are made of.
func plausible(w string) bool {
	if len(w) <= 2 {
		return true
	}
	if len(w) > maxWord {
		return false
	}
	bits, prev := 0, letter(w[0])
	for i := 1; i < len(w); i++ {
		c := letter(w[i])
		p := letterPairs[int(prev)*26+int(c)]
		if p >= 'a' {
			p -= 'a' - '9' - 1
		}
		bits += int(p - '0')
		prev = c
	}
	// Random letters pass at 5 bits a pair in 14 % of cases with five letters
	// and 2 % with twelve, words in 94 % and more. Short words need more room.
	limit := 20
	if len(w) <= 4 {
		limit = 22
	}
	if bits*4 <= limit*(len(w)-1) {
		return true
	}
	var lower [maxWord]byte
	for i := range len(w) {
		lower[i] = w[i] | 0x20
	}
	return abbreviations[string(lower[:len(w)])]
}

func letter(c byte) byte { return c | 0x20 - 'a' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// stringSet makes a set of words that blanks separate.
func stringSet(words string) map[string]bool {
	set := map[string]bool{}
	for start, i := 0, 0; i <= len(words); i++ {
		if i == len(words) || words[i] == ' ' {
			if i > start {
				set[words[start:i]] = true
			}
			start = i + 1
		}
	}
	return set
}
