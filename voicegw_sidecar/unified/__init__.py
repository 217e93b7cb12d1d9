"""The unified endpoints' IO: the agent's protocol ends here, and a provider's begins.

A *facade* reads the agent's protocol into an ask, a *driver* puts it into a provider's, the provider's *dialect* reads
the answer into voice events, and the facade writes those. What is dialled, admitted and recorded is decided above, by
the `Desk`; on the provider's side the metering is the relay's own.
"""
