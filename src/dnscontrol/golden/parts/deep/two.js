var two = 'two';
