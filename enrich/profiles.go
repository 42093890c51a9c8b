package enrich

import (
	"strings"

	"weir/event"
)

// profile is what is known of how an application answers when something was
// tried. A site file's expressions come first, and the log's own word before.
type profile uint8

const (
	// byStatus: 401, 403 and the codes of a refused form are failures, 2xx and
	// 3xx successes.
	byStatus profile = iota
	// formLogin: the form comes back with 200 when it was wrong, a redirect
	// leads on when it was right.
	formLogin
	// redirectBoth: a redirect leads on either way and tells nothing.
	redirectBoth
	// rpcLogin: the answer is in the body, a 200 tells nothing.
	rpcLogin
	numProfiles
)

var profileNames = [numProfiles]string{
	"status", "form that redirects on success", "redirect either way", "answer in the body",
}

// applications are endpoints of well-known software, by the end of their path.
var applications = []struct {
	suffix string
	profile
}{
	{"/wp-login.php", formLogin},                  // WordPress
	{"/wp-signup.php", formLogin},                 // WordPress
	{"/xmlrpc.php", rpcLogin},                     // WordPress
	{"/user/login", formLogin},                    // Drupal
	{"/user/register", formLogin},                 // Drupal
	{"/my-account", formLogin},                    // WooCommerce
	{"/users/sign_in", formLogin},                 // Rails, Devise
	{"/accounts/login", formLogin},                // Django
	{"/admin/login", formLogin},                   // Django
	{"/administrator/index.php", redirectBoth},    // Joomla
	{"/j_security_check", redirectBoth},           // Java servlets
	{"/customer/account/loginpost", redirectBoth}, // Magento
}

// profileOf returns the profile of a clean path.
func profileOf(path string) profile {
	path = strings.TrimSuffix(path, "/")
	for _, a := range applications {
		if n := len(path) - len(a.suffix); n >= 0 && strings.EqualFold(path[n:], a.suffix) {
			return a.profile
		}
	}
	return byStatus
}

// guessOutcome returns what came of a request by its status, for the kinds of
// endpoints where something is tried; the others have no outcome. Whoever met a
// broken server (5xx) has tried nothing; who was turned away at a log-in, also
// by a filter or a rate limit in front of it, tried and did not get in.
func guessOutcome(k event.Kind, p profile, method string, status int32) event.Outcome {
	reads := method == "GET" || method == "HEAD"
	switch k {
	case event.Login, event.Signup, event.Reset, event.Checkout, event.Transfer:
		if reads {
			return event.NoOutcome // a page was shown
		}
	case event.Giftcard, event.Balance:
	default:
		return event.NoOutcome
	}
	switch {
	case status == 401 || status == 403:
		return event.Failure
	case status == 400 || status == 402 || status == 409 || status == 422:
		return event.Failure
	case k == event.Login && (status == 406 || status == 423 || status == 429):
		return event.Failure
	case status == 404 && (k == event.Giftcard || k == event.Balance || k == event.Reset || k == event.Transfer):
		return event.Failure // there is no such card or account
	case status < 200 || status >= 400:
		return event.NoOutcome
	}
	if k == event.Reset {
		// Whoever asks for a reset has proved nothing, and would count as one
		// that succeeded here.
		return event.NoOutcome
	}
	redirect := status >= 300
	if redirect && (k == event.Balance || k == event.Checkout || k == event.Giftcard || k == event.Transfer) {
		return event.NoOutcome // whoever has not logged in is sent to the log-in
	}
	switch p {
	case formLogin:
		if !redirect {
			return event.Failure
		}
	case redirectBoth:
		if redirect {
			return event.NoOutcome
		}
	case rpcLogin:
		return event.NoOutcome
	}
	return event.Success
}

// refineWordPress tells what one address of WordPress was used for: its login
// page also registers and resets.
func refineWordPress(k event.Kind, query string) event.Kind {
	switch action, _ := queryValue(query, "action"); action {
	case "register":
		return event.Signup
	case "lostpassword", "retrievepassword", "resetpass", "rp":
		return event.Reset
	case "postpass", "logout", "confirmaction", "confirm_admin_email":
		return event.NoKind
	}
	return k
}
