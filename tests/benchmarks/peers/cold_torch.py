import torch

x, k = torch.tensor(0.7, requires_grad=True), torch.tensor(1.3, requires_grad=True)
y = k * torch.tanh(2 * x + torch.sin(x * x))
print(*(float(g) for g in torch.autograd.grad(y, [x, k])))
