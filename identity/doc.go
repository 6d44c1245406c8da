// Package identity verifies credentials that others made: ID tokens and other JWTs of OpenID providers, SPIFFE
// JWT-SVIDs, Kubernetes service account tokens, the secrets and assertions by which clients authenticate, and the proofs
// by which they show that they hold a key (DPoP).
//
// Each constructor returns a [Source], which implements tokenboundary.IdentitySource. [Sources] makes a list of them
// for tokenboundary.Config and refuses a list in which two sources could give one name to two parties.
//
// # Rules
//
// A token is read only in its one canonical spelling. Its algorithm must be allowed for the source and fit the key;
// its keys come from the configuration and never from the token. A claim that is required and absent refuses the
// token, and so does any claim that is used here and has another JSON type than its specification says. The audience
// must be configured and present. A token that is bound to a key (cnf) is refused, because its holder has not proved
// the key. Nothing is accepted as another kind of token than it says it is (RFC 8725, section 3.12).
//
// The one credential that brings its own key is the proof of possession. It proves that key for one request, and stands
// for no client, no subject and no actor.
//
// Sources write nothing. The single-use id of a client assertion or a proof is handed to the Governor, which spends it.
//
// Errors say which rule failed and contain nothing of the credential. Where an issuer's keys cannot be had, the error
// matches tokenboundary.ErrUnavailable.
package identity
