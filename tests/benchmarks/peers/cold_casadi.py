import casadi as ca

x, k = ca.SX.sym("x"), ca.SX.sym("k")
both = ca.vertcat(x, k)
print(ca.Function("g", [both], [ca.gradient(k * ca.tanh(2 * x + ca.sin(x * x)), both)])([0.7, 1.3]))
