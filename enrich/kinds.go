package enrich

import (
	"strings"

	"weir/event"
)

// guessKind says what an endpoint is for by the well-known names in its path,
// where no site file does. The path is clean. Words that mean a login count as
// one only where something is sent: showing the form tries nothing.
// buf is room to work in, maxGuess bytes.
func guessKind(method, path string, buf []byte) event.Kind {
	if method == "OPTIONS" || method == "TRACE" || method == "CONNECT" || path == "" {
		return event.NoKind
	}
	if len(path) > maxGuess {
		path = path[len(path)-maxGuess:] // the last segments decide
	}
	p := names{path: event.View(lowerInto(buf[:0], strings.TrimSuffix(path, "/"))), slash: strings.HasSuffix(path, "/")}
	p.split()
	if p.count == 0 {
		return event.NoKind
	}
	if isAsset(p.ext) || assetFiles[p.file] {
		return event.Asset
	}
	if method != "" && method != "GET" && method != "HEAD" {
		if k := p.sent(); k != event.NoKind {
			return k
		}
	}
	return p.any()
}

// maxGuess is how many bytes of a path, its last ones, a kind is guessed from.
const maxGuess = 256

var assetFiles = stringSet("robots.txt ads.txt app-ads.txt humans.txt security.txt sitemap.xml sitemap_index.xml crossdomain.xml browserconfig.xml " +
	"manifest.json wlwmanifest.xml")

// names is a path as guessing sees it, in lower case.
type names struct {
	path       string
	file, ext  string    // the last segment with and the extension without its name
	last, prev string    // the last segment without extension, and the one before
	segs       [8]string // the last ones, without the last's extension
	count      int
	slash      bool // at its end
}

func (p *names) split() {
	rest := p.path
	for p.count < len(p.segs) && rest != "" {
		i := strings.LastIndexByte(rest, '/')
		seg := rest[i+1:]
		rest = rest[:max(i, 0)]
		if seg == "" {
			continue
		}
		if p.count == 0 {
			p.file = seg
			seg, p.ext = splitExtension(seg)
			p.last = seg
		} else if p.count == 1 {
			p.prev = seg
		}
		p.segs[p.count] = seg
		p.count++
	}
}

// has reports whether one of the segments is in the set. What stands under a
// topic is somebody's word, /tag/payments is no checkout.
func (p *names) has(set map[string]bool) bool {
	for i, s := range p.segs[:p.count] {
		if set[s] && (i+1 == p.count || !topics[p.segs[i+1]]) {
			return true
		}
	}
	return false
}

var topics = stringSet("category categories tag tags tagged topic topics author authors blog news wiki article articles post posts")

// The names by which kinds are known. Those of the first group count only
// where something is sent.
var (
	loginNames = stringSet("login signin sign-in sign_in log-in log_in logon wp-login xmlrpc authenticate authentication auth sessions session " +
		"j_security_check j_spring_security_check loginpost dologin do_login do-login userlogin user_login user-login login_check logincheck " +
		"login-check checklogin loginaction login_action loginsubmit login_submit loginprocess login_process processlogin process_login " +
		"ajaxlogin ajax_login signinsubmit passwordlogin loginform login_form login_post login-post submitlogin loginuser login_user weblogin " +
		"customerlogin memberlogin adminlogin accounts:signinwithpassword credentials getlogin verifylogin loginwithpassword")
	loginSteps  = stringSet("password passwd email username user submit check verify post json sms ajax authenticate process do confirm otp token")
	tokenNames  = stringSet("token tokens access_token access-token accesstoken get_token gettoken")
	tokenUnder  = stringSet("oauth oauth2 auth api connect openid-connect identity idp sso jwt v1 v2 v3 v4 rest login account")
	signupNames = stringSet("register signup sign-up sign_up registration registrations createaccount create-account create_account createuser " +
		"create-user create_user wp-signup join enroll enrol enrollment newaccount new-account new_account accounts:signup registeruser " +
		"register_user userregister user_register doregister signupuser signup_submit")
	resetNames = stringSet("reset forgot forgotten forgot-password forgot_password forgotpassword forgotten-password lostpassword lost-password " +
		"lost_password password-reset reset-password resetpassword reset_password password_reset passwordreset passwordrecovery " +
		"password-recovery password_recovery recover recover-password recoverpassword forgotpasswordpost resetpasswordpost forgotpwd resetpwd " +
		"recovery forgot-username forgotusername accounts:sendoobcode")
	checkoutNames = stringSet("checkout place-order placeorder place_order payment payments pay purchase onepage checkouts")
	orderNames    = stringSet("order orders")

	healthNames = stringSet("health healthz healthcheck health-check health_check healthcheckz _health __health livez readyz ready readiness liveness " +
		"ping heartbeat server-status nginx_status stub_status server-info up status")
	giftcardNames = stringSet("giftcard giftcards gift-card gift-cards gift_card gift_cards gift-voucher giftvoucher voucher vouchers gift-certificate " +
		"giftcertificate gift-certificates gift_certificate egift e-gift-card storecard")
	balanceNames  = stringSet("balance balances check-balance checkbalance balance-check balanceinquiry balance-inquiry getbalance")
	transferNames = stringSet("transfer transfers send-money sendmoney send_money remittance wire-transfer wiretransfer payout payouts withdraw " +
		"withdrawal withdrawals moneytransfer")
	cartNames      = stringSet("cart carts basket baskets bag shopping-cart shoppingcart shopping_cart add-to-cart addtocart add_to_cart minicart viewcart")
	inventoryNames = stringSet("inventory stock availability seats seatmap seat-map stock-level stocklevel instock in-stock")
	searchNames    = stringSet("search searches suggest suggestion suggestions autocomplete typeahead find quicksearch catalogsearch advancedsearch")
	productUnder   = stringSet("products product item items dp sku skus gp")
	productNames   = stringSet("product productdetail product-detail product_detail productdetails product-details item itemdetail viewproduct " +
		"view_product product_info productinfo")
	listingNames = stringSet("category categories collection collections catalog catalogue catalogs tag tags brand brands department departments listing " +
		"listings browse products items product-category product-tag product_list productlist product-list archive archives topics")
	accountNames = stringSet("account accounts my-account myaccount my_account profile profiles me dashboard settings preferences user users customer " +
		"customers member members")
)

// sent guesses for requests that send something.
func (p *names) sent() event.Kind {
	switch {
	case p.last == "" || p.prev == "logout":
		return event.NoKind
	case resetNames[p.last], resetNames[p.prev], p.last == "password" && accountNames[p.prev],
		p.prev == "password" && (p.last == "email" || p.last == "new" || p.last == "request"):
		return event.Reset
	case signupNames[p.last], p.last == "createpost" && p.prev == "account":
		return event.Signup
	case loginNames[p.last], loginSteps[p.last] && loginNames[p.prev],
		p.last == "my-account" && p.count == 1 && p.slash, // WooCommerce; what is below it is for who is in
		tokenNames[p.last] && (tokenUnder[p.prev] || p.count == 1):
		return event.Login
	case orderNames[p.last]:
		return event.Checkout
	}
	return event.NoKind
}

// any guesses for requests of any method.
func (p *names) any() event.Kind {
	switch {
	case healthNames[p.last] && (p.count <= 2 || p.prev == "actuator"), p.prev == "actuator" && p.last == "health", p.prev == "health" && healthNames[p.last]:
		return event.Health
	case p.has(giftcardNames):
		return event.Giftcard
	case p.has(balanceNames):
		return event.Balance
	case p.has(transferNames):
		return event.Transfer
	case p.has(checkoutNames):
		return event.Checkout
	case p.has(cartNames):
		return event.Cart
	case p.has(inventoryNames):
		return event.Inventory
	case p.has(searchNames):
		return event.Search
	case productNames[p.last] && (p.ext != "" || p.last != "item" && p.last != "product"),
		productUnder[p.prev], p.count > 2 && productUnder[p.segs[2]] && !collections[p.prev]:
		return event.Product
	case p.has(listingNames):
		return event.Listing
	case p.has(accountNames):
		return event.Account
	}
	return event.NoKind
}
