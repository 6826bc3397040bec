REVCOMPAT('rfc4183');
NewRegistrar('none');
D(REV('198.51.100.130/25'), 'none', PTR('198.51.100.130', 'a.example.'));
D(REV('10.1.20.0/20'), 'none', PTR('10.1.17.3', 'a.example.'));
