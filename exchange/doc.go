// Package exchange is the wire form of the token endpoint: OAuth 2.0 token requests and answers (RFC 6749, section 5),
// token exchange (RFC 8693), resource indicators (RFC 8707) and rich authorization requests (RFC 9396).
//
// On the server's side, [ReadForm] or [ParseForm] reads a request body, [Parse] makes a tokenboundary.Request of it,
// and [Response] and [AsError] write what the Governor answers. On the client's side, [Client] asks a token endpoint
// and refuses an answer that grants more than was asked for.
//
// Nothing here decides. What is refused here is what has no meaning as a request; everything else is for the Governor.
package exchange
