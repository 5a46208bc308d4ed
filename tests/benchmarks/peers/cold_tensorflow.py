import tensorflow as tf

x, k = tf.Variable(0.7), tf.Variable(1.3)
with tf.GradientTape() as tape:
    y = k * tf.tanh(2 * x + tf.sin(x * x))
print(*(float(g) for g in tape.gradient(y, [x, k])))
