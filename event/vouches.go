package event

// Vouchless are, as bits, the kinds of endpoints where success proves nothing
// about who had it: anybody can make an account, or ask for a new password.
// Whoever makes accounts by the thousand would else be a good customer.
const Vouchless uint32 = 1<<Signup | 1<<Reset

// Namely are those where it does only of whom the event names. They answer
// strangers too, and where outcomes are guessed by the status, what they answer
// is a success: whoever has no account would be a good customer for asking.
const Namely uint32 = 1<<Balance | 1<<Checkout | 1<<Giftcard | 1<<Transfer

// Vouches reports whether the event, if it succeeded, proves that a customer did it.
func (e *Event) Vouches() bool {
	switch kind := uint32(1) << e.Kind; {
	case kind&Vouchless != 0:
		return false
	case kind&Namely != 0:
		return e.Credential != "" || e.Consumer != ""
	}
	return true
}
