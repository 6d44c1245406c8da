package main

func Example() {
	main()
	// Output:
	// planner has [read]
	// worker has [read] as worker for planner
	// after the revocation, an exchange: exchange: invalid_request (status 400): subject_token was refused
	// and what the worker has: token_inactive
}
