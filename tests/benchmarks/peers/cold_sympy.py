from sympy import sin, symbols, tanh

x, k = symbols("x k")
y = k * tanh(2 * x + sin(x * x))
print(*(y.diff(name).subs({x: 0.7, k: 1.3}).n() for name in (x, k)))
