"""Who speaks on the socket (`gate`, asked at hello), and what that lets them read (`scopes`) and write."""
